"""What the package offers, for type checkers and editors: at run time each name is imported when it is first used."""

from tenure.client import BadRequest as BadRequest
from tenure.client import Client as Client
from tenure.client import DaemonUnreachable as DaemonUnreachable
from tenure.client import Lease as Lease
from tenure.client import LeaseLost as LeaseLost
from tenure.client import NeverFits as NeverFits
from tenure.client import NotFound as NotFound
from tenure.client import TenureError as TenureError
from tenure.client import TimedOut as TimedOut
from tenure.client import checkpointed as checkpointed
from tenure.client import connect as connect
from tenure.client import last_checkpoint as last_checkpoint
from tenure.client import lease as lease
from tenure.client import report as report
from tenure.client import should_preempt as should_preempt
from tenure.client import submit as submit
from tenure.client import subscribe as subscribe

__version__: str
