"""The exceptions of `index`.

IndexStoreError
├── UnknownCollectionError    no collection has this name; the message lists those that exist
├── CollectionExistsError     the name is taken
├── UnknownDocumentError      the collection has no document with this id
├── EmbedderMismatchError     vectors of another embedder than the collection was made with
├── DamagedDocumentError      stored bytes no longer match their hash, span or width
├── DatabaseBusyError         another process kept the write lock for too long
├── DatabaseUnreachableError  the database server does not answer or lets nobody in
├── StorageFullError          a disk has no room left; what was being written is not there
├── UnstorableTextError       the database cannot hold a text
├── DriverMissingError        what speaks to this kind of database is not installed
├── IndexFileError            a saved index is damaged, foreign, or of other vectors
├── FilterError               a condition cannot be understood, or compares what cannot be compared
├── PortableFormatError       what is imported is not an exported collection
├── TuningError               no index method holds the wanted recall within the limits
├── FullTextMissingError      Python's SQLite was built without FTS5
└── SchemaVersionError        the database was written by a newer version of the program
"""


class IndexStoreError(Exception):
    """Anything that goes wrong with stored collections and is not a bad single value."""


class UnknownCollectionError(IndexStoreError):
    """No collection has this name."""


class CollectionExistsError(IndexStoreError):
    """A collection of this name exists already."""


class UnknownDocumentError(IndexStoreError):
    """The collection has no document with this id."""


class EmbedderMismatchError(IndexStoreError):
    """A vector comes from another embedder than the collection's."""


class DamagedDocumentError(IndexStoreError):
    """What is stored of a document is not what was written; nothing of it is quoted."""


class DatabaseBusyError(IndexStoreError):
    """Another process held the database's write lock for longer than we wait."""


class DatabaseUnreachableError(IndexStoreError):
    """The database server does not answer, or lets nobody in."""


class StorageFullError(IndexStoreError, OSError):
    """A disk has no room left; what was being written is not there, and can be written again."""


class UnstorableTextError(IndexStoreError, ValueError):
    """The database cannot hold a text."""


class DriverMissingError(IndexStoreError):
    """The package that speaks to this kind of database is not installed."""


class FullTextMissingError(IndexStoreError):
    """The SQLite of this Python cannot search for words."""


class SchemaVersionError(IndexStoreError):
    """The database's schema is newer than this program."""


class IndexFileError(IndexStoreError):
    """A saved index cannot be used; it is derived and can be built again."""


class FilterError(IndexStoreError):
    """A filter that cannot be understood, or that compares a field with another kind of value."""


class TuningError(IndexStoreError):
    """No index method holds the wanted recall within the limits."""


class PortableFormatError(IndexStoreError):
    """What is to be imported is not an exported collection."""
