"""Plots as inline SVG: drawn by matplotlib, coloured by the page's style sheet. Needs the extra `[report]`."""
