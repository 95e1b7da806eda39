"""A rule failed on this file: an error of gradlint, not of the code it read.

## What it does
Reports that one rule raised an error on one file. The other rules, and the rule on other files, go on. This rule cannot
be deselected; ignore the rule that the message names until it is corrected.

## Why is this bad
The file was not checked for what that rule finds.

## Example
No code is wrong by itself: whatever made the rule fail should be reported to the authors of gradlint.

## Use instead
Ignore the rule for the file: `[tool.gradlint.per-file-ignores]`.

## Fix safety
There is no fix.

## References
- The configuration page of gradlint.
"""
