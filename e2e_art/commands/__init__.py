"""The command line: the only package that parses arguments or prints."""
