from . import plots as plots
from .explore import explore as explore
from .glue import glue as glue
from .glue import say as say
