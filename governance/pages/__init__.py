"""The pages of classes, roster, studies, reviews, consents and releases: parse, act, render."""
