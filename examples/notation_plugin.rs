//! A plugin for tests: signs with keys in files, makes envelopes, and judges as it is told.
//!
//! Installed as `{plugins}/NAME/notation-NAME`, with or without a `plugin.json` beside it:
//!
//! ```json
//! {"version": "1.0.0", "capabilities": ["SIGNATURE_GENERATOR.RAW"], "wrong": "keyId",
//!  "extended": {"example.attribute": ["value", true]}, "authority": true,
//!  "results": {"SIGNATURE_VERIFIER.REVOCATION_CHECK": [false, "reason"]}, "processed": ["a"]}
//! ```
//!
//! The id of a key is the path of its file without `.key`; its chain is in `ID.chain.crt`. All
//! requests are appended to `requests` beside the program. `wrong` makes it give a wrong answer.

#![expect(clippy::disallowed_methods, reason = "an example has no fsutil")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dockseal::image::descriptor::Descriptor;
use dockseal::image::digest::Digest;
use dockseal::signature::envelope::{
    self, AttributeKey, AttributeValue, Criticality, EnvelopeFormat, ExtendedAttribute,
    SignRequest, SigningScheme,
};
use dockseal::signature::payload::Payload;
use dockseal::signature::signer::Signer as _;
use dockseal::signature::signer::local::LocalSigner;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

type Answer = Result<Value, Box<dyn Error>>;

fn main() -> Result<(), Box<dyn Error>> {
    let command = std::env::args().nth(1).unwrap_or_default();
    let mut request = String::new();
    io::stdin().read_to_string(&mut request)?;
    let program = PathBuf::from(std::env::args_os().next().ok_or("no name")?);
    let plugin = Plugin::new(&program)?;
    let log = program.with_file_name("requests");
    let mut log = fs::OpenOptions::new().create(true).append(true).open(log)?;
    writeln!(log, "{command} {request}")?;
    match plugin.answer(&command, &serde_json::from_str(&request)?) {
        Ok(answer) => Ok(writeln!(io::stdout(), "{answer}")?),
        Err(error) => {
            let document = json!({
                "errorCode": "VALIDATION_ERROR",
                "errorMessage": error.to_string(),
                "errorMetadata": {"command": command},
            });
            writeln!(io::stderr(), "{document}")?;
            std::process::exit(1)
        }
    }
}

struct Plugin {
    name: String,
    behaviour: Value,
}

impl Plugin {
    fn new(program: &Path) -> Result<Self, Box<dyn Error>> {
        let file = program.file_name().ok_or("no file name")?.to_string_lossy();
        let name = file.strip_prefix("notation-").unwrap_or(&file).to_owned();
        let behaviour = match fs::read_to_string(program.with_file_name("plugin.json")) {
            Ok(text) => serde_json::from_str(&text)?,
            Err(_) => json!({}),
        };
        Ok(Self { name, behaviour })
    }

    fn is_wrong(&self, about: &str) -> bool {
        self.behaviour["wrong"] == about
    }

    fn answer(&self, command: &str, request: &Value) -> Answer {
        match command {
            "get-plugin-metadata" => Ok(self.metadata()),
            "describe-key" => self.describe_key(request),
            "generate-signature" => self.generate_signature(request),
            "generate-envelope" => self.generate_envelope(request),
            "verify-signature" => Ok(self.verify_signature(request)),
            _ => Err(format!("unknown command {command:?}").into()),
        }
    }

    fn metadata(&self) -> Value {
        let behaviour = |member: &str, default: Value| match &self.behaviour[member] {
            Value::Null => default,
            value => value.clone(),
        };
        json!({
            "name": if self.is_wrong("name") { "../../evil" } else { &self.name },
            "description": "signs in tests",
            "version": behaviour("version", "1.0.0".into()),
            "url": "https://example.com/notation-plugin",
            "supportedContractVersions": behaviour("contracts", json!(["1.0"])),
            "capabilities": behaviour("capabilities", json!([
                "SIGNATURE_GENERATOR.RAW",
                "SIGNATURE_VERIFIER.TRUSTED_IDENTITY",
                "SIGNATURE_VERIFIER.REVOCATION_CHECK",
            ])),
        })
    }

    fn key_id(&self, request: &Value) -> Value {
        if self.is_wrong("keyId") { json!("another") } else { request["keyId"].clone() }
    }

    fn describe_key(&self, request: &Value) -> Answer {
        let spec = match self.is_wrong("keySpec") {
            true => "RSA-1024".to_owned(),
            false => signer(request)?.key_spec().plugin_name().to_owned(),
        };
        let key_id =
            if self.is_wrong("described keyId") { json!("another") } else { self.key_id(request) };
        Ok(json!({"keyId": key_id, "keySpec": spec}))
    }

    fn generate_signature(&self, request: &Value) -> Answer {
        let payload = STANDARD.decode(request["payload"].as_str().unwrap_or_default())?;
        let signer = signer(request)?;
        let mut made = signer.sign(&payload)?;
        if self.is_wrong("signature") {
            made.signature[0] ^= 1;
        }
        if self.is_wrong("chain") {
            made.certificate_chain.remove(0);
        }
        let chain = made.certificate_chain.iter().map(|it| STANDARD.encode(it.der()));
        let algorithm = signer.key_spec().signature_algorithm().plugin_name();
        Ok(json!({
            "keyId": self.key_id(request),
            "signature": STANDARD.encode(&made.signature),
            "signingAlgorithm": if self.is_wrong("algorithm") { "none" } else { algorithm },
            "certificateChain": chain.collect::<Vec<_>>(),
        }))
    }

    fn generate_envelope(&self, request: &Value) -> Answer {
        let media_type = request["signatureEnvelopeType"].as_str().unwrap_or_default();
        let format = EnvelopeFormat::from_media_type(media_type).ok_or("unknown envelope")?;
        let signature_request = self.signature_request(request)?;
        let (bytes, _) = envelope::sign(format, &signature_request, &signer(request)?)?;
        Ok(json!({
            "signatureEnvelope": STANDARD.encode(bytes),
            "signatureEnvelopeType": if self.is_wrong("type") { "text/plain" } else { media_type },
            "annotations": {
                "example.plugin": self.name,
                "org.opencontainers.image.created": "ours is put over it",
            },
        }))
    }

    fn signature_request(&self, request: &Value) -> Result<SignRequest, Box<dyn Error>> {
        let payload = STANDARD.decode(request["payload"].as_str().unwrap_or_default())?;
        let payload: Value = serde_json::from_slice(&payload)?;
        let target = &payload["targetArtifact"];
        let digest: Digest = serde_json::from_value(target["digest"].clone())?;
        let mut size = target["size"].as_u64().ok_or("no size")?;
        if self.is_wrong("descriptor") {
            size += 1;
        }
        let media_type = target["mediaType"].as_str().ok_or("no media type")?;
        let mut annotations: BTreeMap<String, String> = match &target["annotations"] {
            Value::Null => BTreeMap::new(),
            annotations => serde_json::from_value(annotations.clone())?,
        };
        annotations.insert("added".to_owned(), "by the plugin".to_owned());
        if self.is_wrong("annotations") {
            annotations.remove("k");
        }
        let target = Descriptor::new(media_type, digest, size);
        let now = Timestamp::now();
        let mut made = SignRequest::new(Payload::new(&target, annotations)?, now);
        made.expiry = request["expiryDurationInSeconds"]
            .as_i64()
            .filter(|_| !self.is_wrong("expiry"))
            .map(|seconds| now + SignedDuration::from_secs(seconds));
        made.signing_agent = Some(format!("{}/test", self.name));
        if self.behaviour["authority"] == true {
            made.scheme = SigningScheme::SigningAuthority;
        }
        for (name, value) in self.behaviour["extended"].as_object().into_iter().flatten() {
            made.extended.push(ExtendedAttribute {
                key: AttributeKey::Text(name.clone()),
                value: AttributeValue::Json(value[0].clone()),
                criticality: match value[1] == true {
                    true => Criticality::Critical,
                    false => Criticality::NonCritical,
                },
            });
        }
        Ok(made)
    }

    fn verify_signature(&self, request: &Value) -> Value {
        let mut results = serde_json::Map::new();
        let wanted = request["trustPolicy"]["signatureVerification"].as_array();
        for capability in wanted.into_iter().flatten().filter_map(Value::as_str) {
            let result = match &self.behaviour["results"][capability] {
                Value::Null => json!({"success": true}),
                Value::Array(pair) => json!({"success": pair[0], "reason": pair[1]}),
                _ => Value::Null,
            };
            results.insert(capability.to_owned(), result);
        }
        let processed = match &self.behaviour["processed"] {
            Value::Null => request["signature"]["unprocessedAttributes"].clone(),
            processed => processed.clone(),
        };
        json!({"verificationResults": results, "processedAttributes": processed})
    }
}

fn signer(request: &Value) -> Result<LocalSigner, Box<dyn Error>> {
    let id = request["keyId"].as_str().ok_or("no keyId")?;
    let (key, chain) = (fs::read(format!("{id}.key"))?, fs::read(format!("{id}.chain.crt"))?);
    Ok(LocalSigner::from_pem(&key, &chain)?)
}
