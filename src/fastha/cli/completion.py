"""`fastha completion SHELL`: a script that lets the shell complete what fastha takes, names in the daemon included.

The scripts ask `fastha completion answer -- WORD...` each time; complete.py answers.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from fastha.channel.status import Exit
from fastha.cli.client import NoAnswer, ask
from fastha.parent.protocol import CONTROL_PATH

ANSWER_S = 2.0  # nobody waits longer for a Tab

BASH = r"""# bash completion of fastha: source <(fastha completion bash)
_fastha() {
    local line="${COMP_LINE:0:COMP_POINT}" word about cut
    local -a words
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    local current="${words[-1]}"
    COMPREPLY=()
    # Readline breaks words at colons: what is in front of the last one is already there.
    cut=""
    [[ $current == *:* && $COMP_WORDBREAKS == *:* ]] && cut="${current%"${current##*:}"}"
    while IFS=$'\t' read -r word about; do
        if [[ $word == "?" ]]; then
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
        else
            COMPREPLY+=("${word#"$cut"}")
        fi
    done < <("${words[0]}" completion answer -- "${words[@]:1}" 2>/dev/null)
}
complete -F _fastha fastha
"""
ZSH = r"""#compdef fastha
# zsh completion of fastha: source <(fastha completion zsh), or as _fastha in a folder of $fpath
_fastha() {
    local -a lines names
    local line word
    lines=("${(@f)$("${words[1]}" completion answer -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    names=()
    for line in $lines; do
        word="${line%%$'\t'*}"
        if [[ $word == "?" ]]; then
            _files
            return
        fi
        names+=("${word//:/\\:}:${line#*$'\t'}")
    done
    (( $#names )) && _describe 'fastha' names
}
[[ ${funcstack[1]} == _fastha ]] && _fastha "$@" || compdef _fastha fastha
"""
FISH = r"""# fish completion of fastha: fastha completion fish | source
function __fastha_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in ($words[1] completion answer -- $words[2..-1] 2>/dev/null)
        if string match -q -- '\?'\t'*' $line
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c fastha -f -a '(__fastha_complete)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=(*SCRIPTS, "answer"), help="whose script; answer: what the scripts ask")
    parser.add_argument("words", nargs="*", metavar="WORD", help="with answer: the command line after `fastha`")


def main(options: argparse.Namespace) -> int:
    if options.shell != "answer":
        sys.stdout.write(SCRIPTS[options.shell])
        return Exit.OK
    from fastha.cli.complete import candidates

    words = options.words or [""]
    control = _after(words, "--control", CONTROL_PATH)

    def known(part: str) -> Mapping[str, Any]:
        try:
            found: Mapping[str, Any] = ask(control, "status", ANSWER_S, {"only": [part]}).get(part, {})
            return found
        except NoAnswer:
            return {}

    for word, about in candidates(words, known):
        print(f"{word}\t{about}")
    return Exit.OK


def _after(words: list[str], option: str, default: str) -> str:
    """The value of an option on a line that is not finished."""
    for i, word in enumerate(words[:-1]):
        if word == option and i + 2 < len(words):
            return words[i + 1]
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return default
