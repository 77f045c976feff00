"""Tests of the suite itself: every comparison and every group has to fail on a planted error."""
