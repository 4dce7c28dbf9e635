"""One pass, one file, one public function; the table in `pipeline.py` says their order."""
