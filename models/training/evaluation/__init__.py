"""One evaluation of what ships, on people whom the models have not met: `scripts/evaluate`, docs/evaluate.md."""
