from . import plots as plots
from .beginning import begin as begin
from .diagrams import diagram as diagram
from .explore import explore as explore
from .glue import glue as glue
from .glue import key as key
from .glue import say as say
from .lab.page import TicketLab as TicketLab
