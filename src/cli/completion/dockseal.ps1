# Completion of dockseal for PowerShell. It asks dockseal itself.
Register-ArgumentCompleter -Native -CommandName dockseal -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements |
        Where-Object { $_.Extent.StartOffset -lt $cursorPosition } |
        ForEach-Object { $_.Extent.Text })
    $number = $words.Count
    if ($wordToComplete) { $number-- }
    $rest = @($words | Select-Object -Skip 1)
    & $words[0] __complete $number @rest 2>$null | ForEach-Object {
        $value, $about = $_ -split "`t", 2
        if (-not $about) { $about = $value }
        [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $about)
    }
}
