from .evaluation import Point as Point
from .evaluation import Training as Training
from .evaluation import evaluate as evaluate
from .loop import train as train
from .loop import train_together as train_together
from .recipes import Recipe as Recipe
