# Completion of dockseal for fish. It asks dockseal itself.
function __dockseal_complete
    set --local words (commandline --current-process --tokenize --cut-at-cursor)
    set --local current (commandline --current-token --cut-at-cursor)
    set --local found ($words[1] __complete (count $words) $words[2..-1] "$current" 2>/dev/null)
    if test (count $found) -eq 0
        __fish_complete_path "$current"
    else
        string join \n -- $found
    end
end
complete --command dockseal --no-files --keep-order --arguments '(__dockseal_complete)'
