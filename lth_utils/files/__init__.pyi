from .atomic import atomic_file as atomic_file
from .atomic import atomic_folder as atomic_folder
from .atomic import sweep as sweep
from .atomic import user_folder as user_folder
from .atomic import writing as writing
from .bundles import read_bundle as read_bundle
from .bundles import write_bundle as write_bundle
