"""A file or folder that exists but cannot be read, decoded or parsed.

## What it does
Reports each file that cannot be read from disk, is not text in its declared encoding, contains a null byte or is no
Python that can be parsed (of any version up to the newest: Python 2 is not), and each folder that cannot be listed. The
other files are checked as usual. This rule cannot be deselected; exclude the file or folder instead.

## Why is this bad
Nothing else is reported about such a file, so a run that said nothing would look clean.

## Example
```python
def forward(self, x:
    return self.layers(x)
```

## Use instead
```python
def forward(self, x):
    return self.layers(x)
```

## Fix safety
There is no fix.

## References
- https://docs.python.org/3/reference/lexical_analysis.html#encoding-declarations
"""
