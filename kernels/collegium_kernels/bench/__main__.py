"""``python -m collegium.kernels.bench``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from . import __doc__ as about
from . import selfcheck
from .cases import CASES
from .measure import IMPLEMENTATIONS
from .runner import add_arguments, environment, run
from .table import markdown, title


def main() -> None:
    """Parse the command line, measure, write the result."""
    parser = argparse.ArgumentParser(
        prog="python -m collegium.kernels.bench",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)
    parser.add_argument("--json", type=Path, help="where the result goes; `-` prints it")
    parser.add_argument("--table", action="store_true", help="print Markdown tables")
    parser.add_argument("--list", action="store_true", help="list cases and implementations")
    parser.add_argument("--self-check", action="store_true", help="only check this machine")
    args = parser.parse_args()
    if args.list:
        for name, case in CASES.items():
            print(f"{name:20} {title(vars(case))}")
        print()
        for name, item in IMPLEMENTATIONS.items():
            print(f"{name:28} {item.note} ({', '.join(item.devices)})")
        return
    if args.json and str(args.json) != "-" and not args.json.parent.is_dir():
        parser.error(f"--json {args.json}: the folder does not exist")
    if args.self_check:
        result = {"environment": environment(args.device), **selfcheck.run(args.device)}
    else:
        result = run(args)
    if args.one:
        print(json.dumps(result))
        return
    if args.table and not args.self_check:
        print(markdown(result))
    if args.json and str(args.json) != "-":
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    elif not args.table:
        json.dump(result, sys.stdout, indent=1)
        print()
    if args.self_check and not result["passed"]:
        sys.exit("a check failed; see above")


main()
