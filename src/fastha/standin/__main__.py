"""python -m fastha.standin: `fastha-keepalived`."""

from fastha.standin.main import entry

if __name__ == "__main__":
    entry()
