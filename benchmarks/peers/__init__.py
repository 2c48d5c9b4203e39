"""What Commonweal is measured against, each behind the same small interface."""
