"""The forms, folds and legends that a laid out picture gets as SVG."""
