"""The walk-through of the AWS documentation, with the aws command line and with boto3, to the letter but for ids."""

import re
from pathlib import Path

import pytest

from tests.warm.command_line import CommandLine
from tests.wire.harness import Server


@pytest.fixture
def aws(server: Server, tmp_path: Path) -> CommandLine:
    return CommandLine(server.url, tmp_path)


def test_the_walk_through_with_the_command_line(aws: CommandLine) -> None:
    operation = aws.run("create-private-dns-namespace --name test-namespace --vpc vpc-1c56417b")["OperationId"]
    assert re.fullmatch("[a-z0-9]{32}-[a-z0-9]{8}", operation)
    found = aws.run(f"get-operation --operation-id {operation}")["Operation"]
    namespace = found["Targets"]["NAMESPACE"]
    assert re.fullmatch("ns-[a-z0-9]{16}", namespace)
    assert (found["Id"], found["Type"], found["Status"]) == (operation, "CREATE_NAMESPACE", "SUCCESS")

    service = aws.run(
        f"create-service --name flask-app --namespace-id {namespace} "
        "--dns-config RoutingPolicy=MULTIVALUE,DnsRecords=[{Type=A,TTL=60}]"
    )["Service"]
    identifier = service["Id"]
    assert re.fullmatch("srv-[a-z0-9]{16}", identifier)
    assert re.fullmatch("[0-9a-f-]{36}", service.pop("CreatorRequestId"))
    assert service.pop("CreateDate")
    assert service == {
        "Id": identifier,
        "Arn": f"arn:aws:servicediscovery:us-west-2:000000000000:service/{identifier}",
        "ResourceOwner": "000000000000",
        "Name": "flask-app",
        "NamespaceId": namespace,
        "InstanceCount": 0,
        "DnsConfig": {
            "NamespaceId": namespace,
            "RoutingPolicy": "MULTIVALUE",
            "DnsRecords": [{"Type": "A", "TTL": 60}],
        },
        "Type": "DNS_HTTP",
        "CreatedByAccount": "000000000000",
    }

    attributes = {
        "flask-app-1": "AWS_INSTANCE_IPV4=172.2.1.3,AWS_INSTANCE_PORT=808,stage=dev,version=1.0.0",
        "flask-app-2": "AWS_INSTANCE_IPV4=172.2.1.4,AWS_INSTANCE_PORT=808,stage=prod,version=2.0.0",
    }
    for name, value in attributes.items():
        operation = aws.run(f"register-instance --service-id {identifier} --instance-id {name} --attributes {value}")[
            "OperationId"
        ]
        found = aws.run(f"get-operation --operation-id {operation}")["Operation"]
        assert (found["Type"], found["Status"]) == ("REGISTER_INSTANCE", "SUCCESS")
        assert found["Targets"] == {"INSTANCE": name, "SERVICE": identifier, "NAMESPACE": namespace}

    discovered = aws.run(
        "discover-instances --namespace-name test-namespace --service-name flask-app "
        "--query-parameters stage=dev,version=1.0.0"
    )
    assert isinstance(discovered.pop("InstancesRevision"), int)
    assert discovered == {
        "Instances": [
            {
                "InstanceId": "flask-app-1",
                "NamespaceName": "test-namespace",
                "ServiceName": "flask-app",
                "HealthStatus": "UNKNOWN",
                "Attributes": {
                    "AWS_INSTANCE_IPV4": "172.2.1.3",
                    "AWS_INSTANCE_PORT": "808",
                    "stage": "dev",
                    "version": "1.0.0",
                },
            }
        ]
    }
    arguments = "--namespace-name test-namespace --service-name flask-app"
    assert len(aws.run(f"discover-instances {arguments}")["Instances"]) == 2
    assert aws.run(f"discover-instances {arguments} --query-parameters stage=test")["Instances"] == []
    assert isinstance(aws.run(f"discover-instances-revision {arguments}")["InstancesRevision"], int)

    [summary] = aws.run("list-services")["Services"]
    assert (summary["Id"], summary["Name"], summary["InstanceCount"]) == (identifier, "flask-app", 2)
    listed = aws.run(f"list-instances --service-id {identifier}")
    assert listed["ResourceOwner"] == "000000000000"
    assert [each["Id"] for each in listed["Instances"]] == ["flask-app-1", "flask-app-2"]
    got = aws.run(f"get-instance --service-id {identifier} --instance-id flask-app-2")["Instance"]
    assert (got["Id"], got["Attributes"]["version"]) == ("flask-app-2", "2.0.0")
    assert aws.run(f"get-instances-health-status --service-id {identifier}") == {
        "Status": {"flask-app-1": "UNKNOWN", "flask-app-2": "UNKNOWN"}
    }

    assert aws.error(f"delete-service --id {identifier}").startswith(
        "An error occurred (ResourceInUse) when calling the DeleteService operation"
    )
    for name in attributes:
        operation = aws.run(f"deregister-instance --service-id {identifier} --instance-id {name}")["OperationId"]
        assert aws.run(f"get-operation --operation-id {operation}")["Operation"]["Status"] == "SUCCESS"
    assert aws.run(f"delete-service --id {identifier}") is None
    operation = aws.run(f"delete-namespace --id {namespace}")["OperationId"]
    assert aws.run(f"get-operation --operation-id {operation}")["Operation"]["Status"] == "SUCCESS"
    assert aws.run("list-namespaces") == {"Namespaces": []}


def test_the_other_commands_of_the_documentation(aws: CommandLine) -> None:
    """Those of the aws command line's own examples that the walk-through leaves out."""
    aws.run("create-http-namespace --name example.com --creator-request-id example-request-id")
    aws.run(
        "create-public-dns-namespace --name example-public-dns.com --creator-request-id example-public-request-id "
        "--properties DnsProperties={SOA={TTL=60}}"
    )
    by_type = {each["Type"]: each for each in aws.run("list-namespaces")["Namespaces"]}
    http, public = by_type["HTTP"], by_type["DNS_PUBLIC"]
    assert http["Properties"] == {"DnsProperties": {"SOA": {}}, "HttpProperties": {"HttpName": "example.com"}}
    assert public["Properties"]["DnsProperties"]["SOA"] == {"TTL": 60}
    assert re.fullmatch("Z[A-Z0-9]{20}", public["Properties"]["DnsProperties"]["HostedZoneId"])
    assert aws.run("list-namespaces --filters Name=RESOURCE_OWNER,Values=OTHER_ACCOUNTS,Condition=EQ") == {
        "Namespaces": []
    }

    got = aws.run(f"get-namespace --id {http['Arn']}")["Namespace"]
    assert (got["Name"], got["CreatorRequestId"]) == ("example.com", "example-request-id")
    aws.run(f"update-http-namespace --id {http['Id']} --updater-request-id abcd1234 --namespace Description=updated")
    assert aws.run(f"get-namespace --id {http['Id']}")["Namespace"]["Description"] == "updated"

    service = aws.run(f"create-service --name myservice-arn --namespace-id {public['Arn']} --dns-config "
                      "RoutingPolicy=MULTIVALUE,DnsRecords=[{Type=A,TTL=60}] "
                      "--health-check-custom-config FailureThreshold=1")["Service"]  # fmt: skip
    aws.run(f"update-service --id {service['Arn']} --service DnsConfig={{DnsRecords=[{{Type=A,TTL=120}}]}}")
    assert aws.run(f"get-service --id {service['Id']}")["Service"]["DnsConfig"]["DnsRecords"][0]["TTL"] == 120
    aws.run(f"register-instance --service-id {service['Arn']} --instance-id web-server-01 "
            "--attributes=AWS_INSTANCE_IPV4=203.0.113.15,AWS_INSTANCE_PORT=80")  # fmt: skip
    assert (
        aws.run(
            f"update-instance-custom-health-status --service-id {service['Id']} --instance-id web-server-01 "
            "--status UNHEALTHY"
        )
        is None
    )
    status = aws.run(f"get-instances-health-status --service-id {service['Id']}")["Status"]
    assert status == {"web-server-01": "UNHEALTHY"}

    assert aws.run(f"tag-resource --resource-arn {http['Arn']} --tags Key=Department,Value=Engineering") is None
    tags = aws.run(f"list-tags-for-resource --resource-arn {http['Arn']}")
    assert tags == {"Tags": [{"Key": "Department", "Value": "Engineering"}]}
    assert aws.run(f"untag-resource --resource-arn {http['Arn']} --tag-keys Department") is None
    assert aws.run(f"list-tags-for-resource --resource-arn {http['Arn']}") == {"Tags": []}
    listed = aws.run("list-operations --filters Name=STATUS,Condition=IN,Values=PENDING,SUCCESS")["Operations"]
    assert len(listed) == 5
    assert {each["Status"] for each in listed} == {"SUCCESS"}


def test_the_tutorial_of_ecs_with_the_command_line(aws: CommandLine) -> None:
    """ "Creating an Amazon ECS service that uses service discovery", without what asks ECS and Route 53.

    Where it calls `ecs create-service --service-registries`, a task is registered as ECS registers it.
    """
    operation = aws.run("create-private-dns-namespace --name tutorial --vpc vpc-abcd1234")["OperationId"]
    namespace = aws.run(f"get-operation --operation-id {operation}")["Operation"]["Targets"]["NAMESPACE"]
    service = aws.run(
        f"create-service --name myapplication --dns-config NamespaceId={namespace},DnsRecords=[{{Type=A,TTL=300}}] "
        "--health-check-custom-config FailureThreshold=1"
    )["Service"]
    assert (service["NamespaceId"], service["DnsConfig"]["DnsRecords"]) == (namespace, [{"Type": "A", "TTL": 300}])
    assert service["HealthCheckCustomConfig"] == {"FailureThreshold": 1}
    task = {
        "AWS_INIT_HEALTH_STATUS": "HEALTHY",
        "AWS_INSTANCE_IPV4": "172.16.10.5",
        "AVAILABILITY_ZONE": "us-west-2a",
        "ECS_CLUSTER_NAME": "tutorial",
        "ECS_SERVICE_NAME": "ecs-service-discovery",
        "ECS_TASK_DEFINITION_FAMILY": "tutorial-task-def",
        "REGION": "us-west-2",
    }
    name = "16becc26-8558-4af1-9fbd-f81be062a266"
    given = ",".join(f"{key}={value}" for key, value in task.items())
    aws.run(f"register-instance --service-id {service['Arn']} --instance-id {name} --attributes {given}")
    listed = aws.run(f"list-instances --service-id {service['Id']}")
    assert [(each["Id"], each["Attributes"]) for each in listed["Instances"]] == [(name, task)]
    [found] = aws.run("discover-instances --namespace-name tutorial --service-name myapplication")["Instances"]
    assert (found["InstanceId"], found["HealthStatus"], found["Attributes"]) == (name, "HEALTHY", task)
    aws.run(f"deregister-instance --service-id {service['Id']} --instance-id {name}")
    assert aws.run(f"delete-service --id {service['Id']}") is None
    operation = aws.run(f"delete-namespace --id {namespace}")["OperationId"]
    assert aws.run(f"get-operation --operation-id {operation}")["Operation"]["Status"] == "SUCCESS"


def test_the_walk_through_with_boto3(server: Server) -> None:
    api = server.client("eu-central-1")
    operation = api.create_http_namespace(Name="test-namespace", Description="of the article")["OperationId"]
    found = api.get_operation(OperationId=operation)["Operation"]
    namespace = found["Targets"]["NAMESPACE"]
    service = api.create_service(Name="flask-app", NamespaceId=namespace)["Service"]
    assert (service["Type"], service["DnsConfig"]) == ("HTTP", {})
    arn = f"arn:aws:servicediscovery:eu-central-1:000000000000:service/{service['Id']}"
    assert service["Arn"] == arn
    attributes = {"AWS_INSTANCE_IPV4": "172.2.1.3", "AWS_INSTANCE_PORT": "808", "stage": "dev", "version": "1.0.0"}
    api.register_instance(ServiceId=arn, InstanceId="flask-app-1", Attributes=attributes, CreatorRequestId="once")
    answer = api.discover_instances(
        NamespaceName="test-namespace", ServiceName="flask-app", QueryParameters={"stage": "dev", "version": "1.0.0"}
    )
    assert [(each["InstanceId"], each["Attributes"]) for each in answer["Instances"]] == [("flask-app-1", attributes)]
    instance = api.get_instance(ServiceId=arn, InstanceId="flask-app-1")
    assert instance["ResourceOwner"] == "000000000000"
    assert instance["Instance"] == {
        "Id": "flask-app-1",
        "CreatorRequestId": "once",
        "Attributes": attributes,
        "CreatedByAccount": "000000000000",
    }
    api.deregister_instance(ServiceId=arn, InstanceId="flask-app-1")
    api.delete_service(Id=arn)
    api.delete_namespace(Id=f"arn:aws:servicediscovery:eu-central-1:000000000000:namespace/{namespace}")
    assert api.list_namespaces()["Namespaces"] == []
