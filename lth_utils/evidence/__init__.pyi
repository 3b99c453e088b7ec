from .pairs import by_seed as by_seed
from .pairs import interval as interval
from .pairs import paired as paired
from .pairs import speedup as speedup
from .saying import told as told
from .verdicts import claims as claims
from .verdicts import verdict as verdict
