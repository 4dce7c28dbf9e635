"""The tests that were skipped for a reason with a word in it: `skipped.py REPORT.xml WORD`.

The report is pytest's, in JUnit's format.  Each line is what pytest calls the test, or its file
where the whole file was skipped.
"""

import sys
from xml.etree import ElementTree


def skipped(report: str, word: str) -> list[str]:
    """Their names, in the order of the report."""
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        reason = case.find("skipped")
        if reason is not None and word in str(reason.get("message")):
            places, name = case.get("classname"), case.get("name")
            file = str(places or name).replace(".", "/") + ".py"
            found[f"{file}::{name}" if places else file] = True
    return list(found)


if __name__ == "__main__":
    print("\n".join(skipped(*sys.argv[1:])))
