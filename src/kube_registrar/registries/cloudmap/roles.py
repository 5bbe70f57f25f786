"""A role that a registry assumes: its credentials are had from STS at the first call, and renewed before they expire.

So one operator keeps registries of several accounts: each entry has a role of its own, and the operator's own
credentials need sts:AssumeRole on it. The endpoint of STS is that of the registry's Region, or AWS_ENDPOINT_URL_STS.
"""

from collections.abc import Mapping
from typing import Any, Final

import boto3
from botocore import exceptions as sdk
from botocore.config import Config
from botocore.credentials import DeferredRefreshableCredentials
from botocore.session import get_session

from kube_registrar.registries.cloudmap.options import Options

SESSION_NAME: Final = "kube-registrar"
"""As it appears in CloudTrail."""
_METHOD: Final = "assume-role"
# A call waits for credentials at most so long; a write that the fence no longer admits by then is not sent.
_PATIENCE: Final = Config(connect_timeout=2.0, read_timeout=5.0, retries={"total_max_attempts": 2})


def assuming(options: Options, session: Any) -> Any:
    """Return a boto3 session with the credentials of the configured role; `session` itself if there is none."""
    if options.role_arn is None:
        return session

    def renew() -> Mapping[str, str]:
        return _assumed(options, session)

    assumed = get_session()
    # There is no public way to give a session credentials that are renewed.
    assumed._credentials = DeferredRefreshableCredentials(  # noqa: SLF001
        method=_METHOD, refresh_using=renew
    )
    return boto3.session.Session(botocore_session=assumed, region_name=session.region_name)


def _assumed(options: Options, session: Any) -> Mapping[str, str]:
    """Return fresh credentials of the role. The SDK calls it in one thread at a time."""
    if session.get_credentials() is None:
        raise sdk.NoCredentialsError
    request = {"RoleArn": options.role_arn, "RoleSessionName": SESSION_NAME}
    if options.external_id is not None:
        request["ExternalId"] = options.external_id
    try:
        found = session.client("sts", config=_PATIENCE).assume_role(**request)["Credentials"]
    except sdk.ClientError as error:
        # Not Cloud Map's own answer, for which its caller would take it.
        details = error.response.get("Error", {})
        said = (
            f"role {options.role_arn} cannot be assumed ({details.get('Code')}: {details.get('Message')}); allow "
            "sts:AssumeRole on it, and name this operator's own role in its trust policy"
        )
        raise sdk.CredentialRetrievalError(provider=_METHOD, error_msg=said) from None
    return {
        "access_key": found["AccessKeyId"],
        "secret_key": found["SecretAccessKey"],
        "token": found["SessionToken"],
        "expiry_time": found["Expiration"].isoformat(),
    }
