"""The status of both kinds, as OpenAPI has it: the operator alone writes it."""

from typing import Any, Final

STATUS: Final[dict[str, Any]] = {
    "type": "object",
    "description": "What was observed, written by the operator.",
    "properties": {
        "observedGeneration": {
            "type": "integer",
            "format": "int64",
            "description": "The metadata.generation that the rest of the status is about.",
        },
        "conditions": {
            "type": "array",
            "description": (
                "Ready: it can be used. Synced: its settings in the registry are those of the spec. "
                "RegistryReachable: its registry answers."
            ),
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
            "items": {
                "type": "object",
                "required": ["type", "status", "lastTransitionTime", "reason", "message"],
                "properties": {
                    "type": {
                        "type": "string",
                        "description": "What the condition is about, in CamelCase.",
                        "maxLength": 316,
                    },
                    "status": {
                        "type": "string",
                        "description": "Whether it holds.",
                        "enum": ["True", "False", "Unknown"],
                    },
                    "observedGeneration": {
                        "type": "integer",
                        "format": "int64",
                        "description": "The metadata.generation that the condition is about.",
                        "minimum": 0,
                    },
                    "lastTransitionTime": {
                        "type": "string",
                        "format": "date-time",
                        "description": "When the status changed last.",
                    },
                    "reason": {
                        "type": "string",
                        "description": "Why, as one CamelCase word; docs/reasons.md explains each.",
                        "minLength": 1,
                        "maxLength": 1024,
                    },
                    "message": {
                        "type": "string",
                        "description": "Why, as a sentence.",
                        "maxLength": 32768,
                    },
                },
            },
        },
        "id": {
            "type": "string",
            "description": "The id in the registry.",
        },
        "arn": {
            "type": "string",
            "description": "The ARN, where the registry has such.",
            "nullable": True,
        },
        "registry": {
            "type": "string",
            "description": "The name of the configured registry that it is in.",
        },
        "created": {
            "type": "boolean",
            "description": "Whether this object made it; what it only adopted is never removed with it.",
        },
        "held": {
            "type": "object",
            "description": (
                "Instances that stay, or stay healthy, because too many would go or be marked at once. "
                "Absent where nothing is held. The condition DeletionsHeld says why, and kube-registrar approve "
                "lets them go."
            ),
            "required": ["count", "since", "token"],
            "properties": {
                "count": {
                    "type": "integer",
                    "format": "int64",
                    "description": "How many are held; in a RegistryService, of pods of its Kubernetes namespace.",
                },
                "since": {
                    "type": "string",
                    "format": "date-time",
                    "description": "Since when the first of them is held.",
                },
                "token": {
                    "type": "string",
                    "description": "What approves just these; the annotation kube-registrar.dev/approve takes it.",
                },
                "causes": {
                    "type": "object",
                    "description": "How many for which reason: Missing, Configuration, Unreachable or Replaced.",
                    "additionalProperties": {
                        "type": "integer",
                        "format": "int64",
                    },
                },
                "pods": {
                    "type": "array",
                    "description": "The first of their pods, as namespace/name.",
                    "x-kubernetes-list-type": "atomic",
                    "items": {
                        "type": "string",
                    },
                },
            },
        },
        "instances": {
            "type": "object",
            "description": "How many instances this cluster has in it.",
            "properties": {
                "wanted": {
                    "type": "integer",
                    "format": "int64",
                    "description": "Instances that ready pods ask for.",
                },
                "registered": {
                    "type": "integer",
                    "format": "int64",
                    "description": "Instances that the registry confirmed.",
                },
                "held": {
                    "type": "integer",
                    "format": "int64",
                    "description": "Pods whose wish cannot be read now, so that their instances stay as they are.",
                },
            },
        },
    },
}
