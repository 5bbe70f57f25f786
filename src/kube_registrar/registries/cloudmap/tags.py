"""Tags of registry namespaces and services: read where something may be done about them, and added to.

Lists tell no tags, and each read is a call of its own, so only `ensure` reads them. Who may not read them owns what he
made, and is told once. Source: ListTagsForResource and TagResource, AWS Cloud Map API reference.
"""

import logging
from collections.abc import Mapping

from kube_registrar.model.errors import Refused
from kube_registrar.registries.cloudmap.client import Client
from kube_registrar.registries.cloudmap.rules import MOST_TAGS
from kube_registrar.registries.port import Found

_log = logging.getLogger(__name__)


class Tags:
    """The tags of what is found, by its ARN."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._is_told = False

    async def of(self, found: Found) -> Mapping[str, str]:
        """Return the tags; none where they may not be read, or where the endpoint has none."""
        if not found.arn:
            return {}
        about = f"reading the tags of {found.spec.ref}"
        try:
            answer = await self._client.call("ListTagsForResource", {"ResourceARN": found.arn}, about)
        except Refused as error:
            if error.field not in {"permissions", "endpointUrl"}:
                raise
            level = logging.DEBUG if self._is_told else logging.WARNING
            self._is_told = True
            _log.log(level, "%s. Without tags, what was made by an object is taken for its own", error)
            return {}
        return {tag["Key"]: tag.get("Value", "") for tag in answer.get("Tags", [])}

    async def put(self, found: Found, there: Mapping[str, str], asked: Mapping[str, str]) -> Mapping[str, str]:
        """Add what is asked for and is not there; return all tags. Those that nobody asks for stay."""
        missing = {key: value for key, value in asked.items() if there.get(key) != value}
        if not missing or not found.arn:
            return there
        wanted = {**there, **missing}
        about = f"tagging {found.spec.ref}"
        if len(wanted) > MOST_TAGS:
            rule = f"at most {MOST_TAGS} tags, those that others gave it included"
            raise Refused(
                f"{about}: it would have {len(wanted)}; allowed: {rule}. Leave some out", field="tags", rule=rule
            )
        pairs = [{"Key": key, "Value": value} for key, value in missing.items()]
        await self._client.call("TagResource", {"ResourceARN": found.arn, "Tags": pairs}, about)
        return wanted
