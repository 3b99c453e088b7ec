from .datasets import Dataset as Dataset
from .datasets import dataset as dataset
from .loading import load as load
from .splits import Split as Split
