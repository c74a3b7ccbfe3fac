#!/usr/bin/env python3
"""Damages a file in place: damage.py byte|flip|truncate FILE

byte changes one bit in the middle of the file. flip does so in the middle of a tar archive's
largest member; truncate cuts the archive there.
"""

import os
import sys
import tarfile


def middle_of_largest_member(path):
    with tarfile.open(path) as tar:
        largest = max((member for member in tar if member.isreg()), key=lambda member: member.size)
    return largest.offset_data + largest.size // 2


def main():
    how, path = sys.argv[1:]
    if how == "byte":
        middle = os.path.getsize(path) // 2
    else:
        middle = middle_of_largest_member(path)
    if how == "truncate":
        os.truncate(path, middle)
        return
    with open(path, "r+b") as file:
        file.seek(middle)
        byte = file.read(1)[0]
        file.seek(middle)
        file.write(bytes([byte ^ 1]))


if __name__ == "__main__":
    main()
