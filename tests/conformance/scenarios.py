"""All scenarios by name, for the tests, the report and the documentation."""

from __future__ import annotations

from tests.conformance.access import ACCESS
from tests.conformance.annotating import ANNOTATING
from tests.conformance.archives import ARCHIVING
from tests.conformance.change_feed import CHANGE_FEED
from tests.conformance.changing import CHANGING
from tests.conformance.commitment import COMMITMENT
from tests.conformance.creating import CREATIONS
from tests.conformance.dicomweb_metadata import DICOMWEB_METADATA
from tests.conformance.dicomweb_rendered import DICOMWEB_RENDERED
from tests.conformance.dicomweb_servers import DICOMWEB_SERVERS
from tests.conformance.editing import EDITING
from tests.conformance.finding import FINDING
from tests.conformance.jobs import JOBS
from tests.conformance.line import Scenario
from tests.conformance.modalities import ASKING
from tests.conformance.peers import PEERS
from tests.conformance.picturing import PICTURING
from tests.conformance.qido import QIDO
from tests.conformance.reading import READING
from tests.conformance.services import SYSTEM
from tests.conformance.stow import STOW
from tests.conformance.uploading import UPLOADING
from tests.conformance.wado import WADO
from tests.conformance.worklist_service import WORKLIST_SERVICE

SCENARIOS: dict[str, Scenario] = {
    each.name: each
    for each in (
        *UPLOADING,
        READING,
        FINDING,
        PICTURING,
        *CHANGING,
        *ACCESS,
        JOBS,
        *ANNOTATING,
        *CREATIONS,
        *EDITING,
        *ARCHIVING,
        COMMITMENT,
        *ASKING,
        PEERS,
        *SYSTEM,
        QIDO,
        WADO,
        STOW,
        DICOMWEB_METADATA,
        DICOMWEB_RENDERED,
        DICOMWEB_SERVERS,
        CHANGE_FEED,
        WORKLIST_SERVICE,
    )
}
