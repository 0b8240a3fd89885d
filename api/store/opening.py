"""Chooses the Store and the Shelf that the settings name. Not: their work."""

from __future__ import annotations

import importlib.util
import os

from api.settings import Settings, SettingsError
from api.store.shelf import FolderShelf, Shelf
from api.store.sqlite import SqliteStore
from api.store.store import Store
from contract.data_dir import find_data_dir

FILE, FOLDER = "store.sqlite", "shelf"
NO_SUPABASE = "SUPABASE_URL: needs a package that is not here: pip install 'cueline[supabase]'"


def open_store(settings: Settings) -> Store:
    """The Store; it is reached when it is first asked.

    Raises: SettingsError, one line.
    """
    if settings.supabase_url:
        check_supabase()
        from api.store.supabase import SupabaseStore

        return SupabaseStore(settings.supabase_url, settings.supabase_key)
    return SqliteStore(find_data_dir(os.environ) / FILE)


def open_shelf(settings: Settings) -> Shelf:
    """The Shelf, likewise."""
    if settings.supabase_url:
        check_supabase()
        from api.store.bucket import BucketShelf

        return BucketShelf(settings.supabase_url, settings.supabase_key)
    return FolderShelf(find_data_dir(os.environ) / FOLDER)


def check_supabase() -> None:
    """Raises: SettingsError where a Supabase project is named and its extra is not installed."""
    if not is_supabase_installed():
        raise SettingsError(NO_SUPABASE)


def is_supabase_installed() -> bool:
    """Whether the extra is; our own folder of that name is no package."""
    found = importlib.util.find_spec("supabase")
    return found is not None and found.origin is not None
