"""A block's statements against the keyword table: which keyword each is, whether its words and braces fit.

What comes out of `items` is what a builder may rely on: a supported keyword with at least the words it needs, and a
block exactly if it opens one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fastha.config.item import Item
from fastha.config.keywords import TABLE, Keyword, Status
from fastha.config.keywords.table import ROOT
from fastha.config.lines import check_lines
from fastha.config.near import meant
from fastha.config.tree import Faults, Statement, shown
from fastha.config.words import check_words


def items(statements: Sequence[Statement], block: str, faults: Faults) -> Iterator[Item]:
    """The supported statements of a block, in order; faults for all others."""
    first: dict[str, Statement] = {}
    for item in _fitting(statements, block, faults):
        if item.keyword.once and first.setdefault(item.name, item.statement) is not item.statement:
            faults.warning(item.statement.place(), f"{item.name} is there already; the first one counts")
        if item.keyword.status is Status.SUPPORTED:
            yield item
            continue
        place, word = item.statement.place(), item.keyword.word
        about = item.keyword.help
        about = about if about[1:2].isupper() else about[:1].lower() + about[1:]
        faults.not_supported(place, f"{word} has no effect ({about})")
        _check(item, faults)


def _check(item: Item, faults: Faults) -> None:
    """Unknown words and wrong values are mistakes even where nothing has an effect."""
    check_words(item, faults)
    opens, block = item.keyword.opens, item.statement.block
    if block is None:
        return
    if opens in TABLE:
        for inner in _fitting(block, opens, faults):
            _check(inner, faults)
    else:
        check_lines(opens, block, faults)


def _fitting(statements: Iterable[Statement], block: str, faults: Faults) -> Iterator[Item]:
    """Statements whose keyword is known in `block` and whose words and braces fit it."""
    known = TABLE[block]
    lost = False  # a } seems to be missing: one message is enough for all that follows
    for whole in statements:
        begin, last = 0, len(whole.words)
        while begin < last:
            word = whole.words[begin]
            keyword = known.get(word)
            if keyword is None:
                statement = whole.piece(begin, last)
                if word in TABLE[ROOT] and block != ROOT:
                    if not lost:
                        faults.error(
                            statement.place(),
                            f"'{word}' cannot stand in {block}",
                            "is a } missing before this line?",
                            code="misplaced-keyword",
                        )
                    lost = True
                elif not lost:
                    unknown(statement, block, faults)
                break
            statement, end = whole, last
            if whole.inline:
                end = _end(whole, begin, keyword, known)
                statement = whole.piece(begin, end)
            count = end - begin - 1
            begin = end
            most = count if keyword.most is None else keyword.most
            fits = keyword.least <= count <= most and bool(keyword.opens) is statement.has_block
            if fits or _fits(statement, keyword, block, faults):
                yield Item(keyword, statement)


def _end(statement: Statement, begin: int, keyword: Keyword, known: dict[str, Keyword]) -> int:
    """Where the words of a keyword end. On one line there may be several keywords, as in
    `authentication { auth_type PASS auth_pass secret }`."""
    words = statement.words
    for i in range(begin + 1 + keyword.least, len(words)):
        if words[i] in known and i not in statement.quoted:
            return i
    return len(words)


def _fits(statement: Statement, keyword: Keyword, block: str, faults: Faults) -> bool:
    count = len(statement.words) - 1
    if count < keyword.least:
        faults.error(statement.place(count), f"{keyword.word} needs a value", f"{keyword.word} {keyword.value}")
        return False
    if keyword.most is not None and count > keyword.most:
        extra = shown(" ".join(statement.words[keyword.most + 1 :]))
        at, message = statement.place(keyword.most + 1), f"'{extra}' is ignored after {keyword.word}"
        if keyword.script:
            faults.warning(at, message, "quote the whole command to give it arguments", code="unquoted-arguments")
        else:
            faults.warning(at, message)
    if keyword.opens and not statement.has_block:
        faults.error(statement.place(), f"{keyword.word} needs a block", f"{keyword.word} {{ ... }}")
        return False
    if not keyword.opens and statement.has_block:
        faults.error(statement.place(), f"{keyword.word} takes no block", f"known in {block}: {keyword.help}")
        return False
    return True


def unknown(statement: Statement, block: str, faults: Faults) -> None:
    """An unknown word, with the likeliest reason."""
    word = statement.words[0]
    where = "at the top level" if block == ROOT else f"in {block}"
    others = [b for b, words in TABLE.items() if word in words]
    if hint := meant(word[:40], TABLE[block], cutoff=0.7):
        pass
    elif word.lower() in TABLE[block] or word.upper() in TABLE[block]:
        hint = f"did you mean {word.lower() if word.lower() in TABLE[block] else word.upper()}?"
    elif others:
        hint = f"it belongs in {' or '.join(others[:3])}"
    elif any(c in word for c in "\u00a0\u2003\u200b"):
        hint = "it contains a special space; retype the line"
    else:
        hint = ""
    faults.error(statement.place(), f"unknown keyword '{shown(word)}' {where}", hint, code="unknown-keyword")
