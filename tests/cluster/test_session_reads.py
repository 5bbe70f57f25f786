"""A session that only reads sends nothing that would change something."""

import pytest

from kube_registrar.cluster.credentials import Credentials
from kube_registrar.cluster.errors import ApiError
from kube_registrar.cluster.session import open_session

NOBODY = Credentials(server="http://127.0.0.1:1", source="a test")


async def test_what_would_change_something_is_refused_before_it_is_sent() -> None:
    async with open_session(load=lambda: NOBODY, reads_only=True) as session:
        for send in (session.post, session.put, session.patch):
            with pytest.raises(ApiError, match="was not sent: this session only reads"):
                await send("/api/v1/namespaces/default/pods", {})
        with pytest.raises(ApiError, match="was not sent"):
            await session.delete("/api/v1/namespaces/default/pods/a")
        # A question about rights is posted, and reads go out: here to nobody.
        for sending in (session.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {}), session.get("/")):
            with pytest.raises(ApiError, match="cannot be reached"):
                await sending
