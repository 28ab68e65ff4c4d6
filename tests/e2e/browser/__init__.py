"""The portal as people see it: headless Chromium, one visitor for each person, page by page."""
