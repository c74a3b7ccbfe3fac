# Completion of dockseal for bash. It asks dockseal itself.
_dockseal() {
    local cur=$2 prev='' words=("${COMP_WORDS[@]}") cword=$COMP_CWORD before word
    local -a found=()
    # bash takes names of images apart at each colon; bash-completion can put them together again.
    if declare -F _get_comp_words_by_ref >/dev/null; then
        _get_comp_words_by_ref -n := cur prev words cword
    fi
    before=${cur%"$2"}
    COMPREPLY=()
    mapfile -t found < <("$1" __complete "$cword" "${words[@]:1:cword-1}" "$cur" 2>/dev/null)
    for word in "${found[@]}"; do
        word=${word%%$'\t'*}
        word=${word#"$before"}
        printf -v word %q "$word"
        COMPREPLY+=("$word")
    done
    # More may follow a directory, a transport or a repository.
    [[ ${COMPREPLY[0]-} != *[/:=] ]] || compopt -o nospace
}
complete -o default -o bashdefault -F _dockseal dockseal
