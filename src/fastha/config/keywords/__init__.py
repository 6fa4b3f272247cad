"""The keyword table: every keyword of every block that keepalived knows, as data.

One file per family; `TABLE` maps a block to its keywords. The reader of a configuration, the documentation and the
tests all walk this one table. Columns of the data files (a bar between each; empty means none):

    word | value | default | range | status | help

value    what follows the word, one token per word of the file: `-` nothing, `[X]` optional, `X...` any number,
         `CMD` a command with shell quoting, `{block}` opens that block; a block in FREE has lines of its own grammar.
         A capital word, `s`, `ms` or `us` is a kind of value (config.words checks it where the keyword has no effect);
         `A|B`, or a small word, is meant literally. The kind gives the unit: SEC and s are seconds
default  what holds without the keyword
range    `LO..HI` of a number, decimals for SEC; `~` before it: a value outside is clamped with a warning, else it is an
         error
status   `yes` it has its meaning; `-` known, accepted, without effect; `=word` an older spelling of `word`; `own`
         fastha's own addition. `@2.3.0` after it: the first keepalived release that has the keyword
"""

from fastha.config.keywords.table import BLOCKS, FREE, SCRIPT_WORDS, TABLE, Keyword, Status

__all__ = ["BLOCKS", "FREE", "SCRIPT_WORDS", "TABLE", "Keyword", "Status"]
