// Uses a Cloud Map API through the AWS SDK for JavaScript v3 as an application would, and fails where it must not.
//
//   node walk.mjs http://registry.localhost:8081
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import {
  CreateHttpNamespaceCommand,
  CreateServiceCommand,
  DeregisterInstanceCommand,
  DiscoverInstancesCommand,
  GetOperationCommand,
  GetServiceCommand,
  InvalidInput,
  NamespaceAlreadyExists,
  NamespaceNotFound,
  RegisterInstanceCommand,
  ServiceDiscoveryClient,
  ServiceNotFound,
  paginateListServices,
} from "@aws-sdk/client-servicediscovery";

const NAMESPACE = "sdk-javascript";
const SERVICES = 5;

const api = new ServiceDiscoveryClient({ endpoint: process.argv[2], region: "eu-west-1" });

async function succeeded({ OperationId }) {
  for (;;) {
    const { Operation } = await api.send(new GetOperationCommand({ OperationId }));
    if (Operation.Status === "SUCCESS") return Operation;
    assert.notEqual(Operation.Status, "FAIL", Operation.ErrorMessage);
    await sleep(20);
  }
}

async function discovered() {
  const answer = await api.send(
    new DiscoverInstancesCommand({
      NamespaceName: NAMESPACE,
      ServiceName: "service-0",
      QueryParameters: { stage: "dev" },
      HealthStatus: "ALL",
    }),
  );
  assert.ok(answer.InstancesRevision > 0);
  return answer.Instances.map((instance) => instance.InstanceId);
}

const made = await succeeded(await api.send(new CreateHttpNamespaceCommand({ Name: NAMESPACE })));
const NamespaceId = made.Targets.NAMESPACE;
for (let number = 0; number < SERVICES; number++) {
  await api.send(new CreateServiceCommand({ Name: `service-${number}`, NamespaceId }));
}

const ids = {};
let pages = 0;
const asked = { Filters: [{ Name: "NAMESPACE_ID", Values: [NamespaceId] }] };
for await (const page of paginateListServices({ client: api, pageSize: 2 }, asked)) {
  pages += 1;
  for (const service of page.Services) ids[service.Name] = service.Id;
}
assert.equal(Object.keys(ids).length, SERVICES);
assert.equal(pages, 3);

const ServiceId = ids["service-0"];
for (const [number, stage] of ["dev", "prod"].entries()) {
  const Attributes = { AWS_INSTANCE_IPV4: `10.0.0.${number + 1}`, AWS_INSTANCE_PORT: "8080", stage };
  await succeeded(await api.send(new RegisterInstanceCommand({ ServiceId, InstanceId: `web-${stage}`, Attributes })));
}
assert.deepEqual(await discovered(), ["web-dev"]);
await succeeded(await api.send(new DeregisterInstanceCommand({ ServiceId, InstanceId: "web-dev" })));
assert.deepEqual(await discovered(), []);

await assert.rejects(api.send(new GetServiceCommand({ Id: "srv-aaaaaaaaaaaaaaaa" })), ServiceNotFound);
const bad = { ServiceId, InstanceId: "bad", Attributes: { AWS_INSTANCE_IPV4: "300.0.0.1" } };
await assert.rejects(api.send(new RegisterInstanceCommand(bad)), (error) => error instanceof InvalidInput && error.message !== "");
await assert.rejects(
  api.send(new CreateHttpNamespaceCommand({ Name: NAMESPACE })),
  (error) => error instanceof NamespaceAlreadyExists && error.NamespaceId === NamespaceId,
);
await assert.rejects(
  api.send(new DiscoverInstancesCommand({ NamespaceName: "nowhere", ServiceName: "service-0" })),
  NamespaceNotFound,
);
