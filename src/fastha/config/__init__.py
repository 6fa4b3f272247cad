"""L1: keepalived.conf text <-> model. Reader (text to statements), one keyword table, build (statements to model).

Every fault is collected with file, line and column; nothing here raises at the first one. No process, no clock.
"""
