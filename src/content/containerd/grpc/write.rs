//! The calls that write (spec/containerd.md §5.4).
//!
//! ```text
//! lease -> blobs, children first, labels with the commit -> label of the anchor -> record -> no lease
//! ```
//!
//! A collection may run at any moment: the lease holds what nothing leads to yet, and ends by itself
//! should this process die.

use std::future::Future;
use std::time::Duration;

use containerd_client::services::v1::leases_client::LeasesClient;
use containerd_client::services::v1::{
    CreateImageRequest, CreateRequest, DeleteContentRequest, DeleteImageRequest, DeleteRequest,
    Image, Info, UpdateImageRequest, UpdateRequest,
};
use containerd_client::types::Descriptor as WireDescriptor;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::{Daemon, MAX_MESSAGE, UNARY};
use crate::content::containerd::{
    Addition, ContainerdError, ContentWriter, ImageRecord, ImportError, Labels, Namespace, NewBlob,
    NewContent,
};
use crate::image::digest::Digest;

/// How long a collection that is waited for may take.
const COLLECTION: Duration = Duration::from_secs(60);

impl ContentWriter for Daemon {
    fn add(&self, namespace: &Namespace, addition: &Addition<'_>) -> Result<(), ContainerdError> {
        let lease = self.lease(namespace, &addition.lease_until)?;
        let added = self.add_under(namespace, &lease, addition);
        // Even after a failure: what nothing leads to is collected now.
        let ended = self.end_lease(namespace, &lease);
        added.and(ended)
    }

    fn import(
        &self,
        namespace: &Namespace,
        content: &[NewContent<'_>],
        records: &[ImageRecord],
        lease_until: &str,
    ) -> Result<(), ImportError> {
        self.import_image(namespace, content, records, lease_until)
    }

    fn label(
        &self,
        namespace: &Namespace,
        digest: &Digest,
        labels: &Labels,
    ) -> Result<(), ContainerdError> {
        let info = Info {
            digest: digest.to_string(),
            labels: labels.clone().into_iter().collect(),
            ..Info::default()
        };
        let mut message = UpdateRequest { info: Some(info), ..UpdateRequest::default() };
        // containerd splits at the first dot only, so that keys may have dots.
        message.update_mask.get_or_insert_default().paths =
            labels.keys().map(|key| format!("labels.{key}")).collect();
        let request = self.request(message, namespace, Some(UNARY))?;
        self.expect("content update", self.content_client().update(request)).map(drop)
    }

    fn remove_image(&self, namespace: &Namespace, name: &str) -> Result<(), ContainerdError> {
        let message = DeleteImageRequest { name: name.to_owned(), ..DeleteImageRequest::default() };
        let request = self.request(message, namespace, Some(UNARY))?;
        self.call("image delete", self.images_client().delete(request)).map(drop)
    }

    fn remove_content(
        &self,
        namespace: &Namespace,
        digest: &Digest,
    ) -> Result<(), ContainerdError> {
        let message = DeleteContentRequest { digest: digest.to_string() };
        let request = self.request(message, namespace, Some(UNARY))?;
        self.call("content delete", self.content_client().delete(request)).map(drop)
    }
}

impl Daemon {
    fn add_under(
        &self,
        namespace: &Namespace,
        lease: &str,
        addition: &Addition<'_>,
    ) -> Result<(), ContainerdError> {
        for blob in &addition.blobs {
            self.put(namespace, lease, blob)?;
        }
        let (anchor, labels) = &addition.anchor;
        self.label(namespace, anchor, labels)?;
        match &addition.image {
            Some(image) => self.put_image(namespace, lease, image),
            None => Ok(()),
        }
    }

    /// Writes a blob that is at hand.
    fn put(
        &self,
        namespace: &Namespace,
        lease: &str,
        blob: &NewBlob<'_>,
    ) -> Result<(), ContainerdError> {
        let content = NewContent {
            digest: blob.digest,
            size: blob.bytes.len() as u64,
            labels: blob.labels.clone(),
            fill: Box::new(|out| out.write_all(blob.bytes)),
        };
        self.stream(namespace, lease, &content).map_err(|error| match error {
            ImportError::Containerd(error) => error,
            // Memory does not fail; it was the connection.
            ImportError::Content(error) => self.refused("content write", &error.to_string()),
        })
    }

    /// Makes an image record, or makes the one that is there name this.
    pub(super) fn put_image(
        &self,
        namespace: &Namespace,
        lease: &str,
        record: &ImageRecord,
    ) -> Result<(), ContainerdError> {
        let call = "image create";
        let target = WireDescriptor {
            media_type: record.target.media_type.clone(),
            digest: record.target.digest.to_string(),
            size: i64::try_from(record.target.size)
                .map_err(|_| self.refused(call, "the size is too large"))?,
            ..WireDescriptor::default()
        };
        let image = Image {
            name: record.name.clone(),
            labels: record.labels.clone().into_iter().collect(),
            target: Some(target),
            ..Image::default()
        };
        if self.image_is_there(namespace, record)? {
            let message =
                UpdateImageRequest { image: Some(image), ..UpdateImageRequest::default() };
            let request = self.request(message, namespace, Some(UNARY))?;
            let request = self.held_by(request, lease)?;
            return self.expect(call, self.images_client().update(request)).map(drop);
        }
        let message = CreateImageRequest { image: Some(image), ..CreateImageRequest::default() };
        let request = self.held_by(self.request(message, namespace, Some(UNARY))?, lease)?;
        self.expect(call, self.images_client().create(request)).map(drop)
    }

    fn image_is_there(
        &self,
        namespace: &Namespace,
        record: &ImageRecord,
    ) -> Result<bool, ContainerdError> {
        use crate::content::containerd::ContentStore as _;
        Ok(self.image(namespace, &record.name)?.is_some())
    }

    fn leases_client(&self) -> LeasesClient<Channel> {
        LeasesClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    pub(super) fn lease(
        &self,
        namespace: &Namespace,
        until: &str,
    ) -> Result<String, ContainerdError> {
        let labels = [("containerd.io/gc.expire".to_owned(), until.to_owned())];
        let message = CreateRequest { labels: labels.into(), ..CreateRequest::default() };
        let request = self.request(message, namespace, Some(UNARY))?;
        let answer = self.expect("lease", self.leases_client().create(request))?;
        answer.lease.map(|lease| lease.id).ok_or_else(|| self.refused("lease", "there is none"))
    }

    /// Ends a lease and waits for the collection: what it takes is gone when this is done.
    pub(super) fn end_lease(
        &self,
        namespace: &Namespace,
        lease: &str,
    ) -> Result<(), ContainerdError> {
        let message = DeleteRequest { id: lease.to_owned(), sync: true };
        let request = self.request(message, namespace, Some(COLLECTION))?;
        let mut client = self.leases_client();
        self.within(COLLECTION, "lease end", client.delete(request)).map(drop)
    }

    pub(super) fn held_by<T>(
        &self,
        mut request: Request<T>,
        lease: &str,
    ) -> Result<Request<T>, ContainerdError> {
        let value: MetadataValue<_> =
            lease.parse().map_err(|_| self.refused("lease", "its name is no value of a header"))?;
        request.metadata_mut().insert("containerd-lease", value);
        Ok(request)
    }

    /// A call whose answer can't be that something is not there.
    fn expect<T>(
        &self,
        call: &'static str,
        answer: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, ContainerdError> {
        self.call(call, answer)?.ok_or_else(|| self.refused(call, "not found"))
    }
}
