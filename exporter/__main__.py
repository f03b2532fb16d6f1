"""The command's entry: signals are handled before the rest is imported, which takes half a second."""

from exporter import signals


def main() -> None:
    signals.take()
    from exporter.cli import main as command  # noqa: PLC0415

    command()


if __name__ == "__main__":
    main()
