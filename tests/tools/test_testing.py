import pytest

from tools.audit import AuditLog, AuditSink
from tools.testing import AuditSinkContract, MemoryAudit


class TestAuditLog(AuditSinkContract):
    @pytest.fixture
    def sink(self, audit: AuditLog) -> AuditSink:
        return audit


class TestMemoryAudit(AuditSinkContract):
    @pytest.fixture
    def sink(self) -> AuditSink:
        return MemoryAudit()
