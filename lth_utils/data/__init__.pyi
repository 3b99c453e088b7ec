from .datasets import Dataset as Dataset
from .datasets import dataset as dataset
from .loading import load as load
from .loading import load_folder as load_folder
from .splits import Split as Split
