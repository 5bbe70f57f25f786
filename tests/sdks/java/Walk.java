import java.net.URI;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.servicediscovery.ServiceDiscoveryClient;
import software.amazon.awssdk.services.servicediscovery.model.HealthStatusFilter;
import software.amazon.awssdk.services.servicediscovery.model.InvalidInputException;
import software.amazon.awssdk.services.servicediscovery.model.NamespaceAlreadyExistsException;
import software.amazon.awssdk.services.servicediscovery.model.NamespaceNotFoundException;
import software.amazon.awssdk.services.servicediscovery.model.Operation;
import software.amazon.awssdk.services.servicediscovery.model.OperationStatus;
import software.amazon.awssdk.services.servicediscovery.model.OperationTargetType;
import software.amazon.awssdk.services.servicediscovery.model.ServiceFilterName;
import software.amazon.awssdk.services.servicediscovery.model.ServiceNotFoundException;

/**
 * Uses a Cloud Map API through the AWS SDK for Java v2 as an application would, and fails where it must not.
 *
 * <p>{@code java -cp CLASSPATH Walk.java http://registry.localhost:8081}
 */
final class Walk {
    private static final String NAMESPACE = "sdk-java";
    private static final int SERVICES = 5;

    private final ServiceDiscoveryClient api;

    private Walk(ServiceDiscoveryClient api) {
        this.api = api;
    }

    public static void main(String[] arguments) throws InterruptedException {
        try (ServiceDiscoveryClient api = ServiceDiscoveryClient.builder()
                .endpointOverride(URI.create(arguments[0]))
                .region(Region.EU_WEST_1)
                .httpClient(UrlConnectionHttpClient.create())
                .build()) {
            new Walk(api).all();
        }
    }

    private void all() throws InterruptedException {
        String namespace = succeeded(api.createHttpNamespace(to -> to.name(NAMESPACE)).operationId())
                .targets().get(OperationTargetType.NAMESPACE);
        for (int number = 0; number < SERVICES; number++) {
            String name = "service-" + number;
            api.createService(to -> to.name(name).namespaceId(namespace));
        }
        String service = paginated(namespace).get("service-0");
        int last = 0;
        for (String stage : List.of("dev", "prod")) {
            Map<String, String> attributes = Map.of(
                    "AWS_INSTANCE_IPV4", "10.0.0." + ++last, "AWS_INSTANCE_PORT", "8080", "stage", stage);
            succeeded(api.registerInstance(
                    to -> to.serviceId(service).instanceId("web-" + stage).attributes(attributes)).operationId());
        }
        expect(discovered(), List.of("web-dev"));
        succeeded(api.deregisterInstance(to -> to.serviceId(service).instanceId("web-dev")).operationId());
        expect(discovered(), List.of());
        refused(service, namespace);
    }

    private Operation succeeded(String id) throws InterruptedException {
        while (true) {
            Operation found = api.getOperation(to -> to.operationId(id)).operation();
            if (found.status() == OperationStatus.SUCCESS) {
                return found;
            }
            if (found.status() == OperationStatus.FAIL) {
                throw new AssertionError(found.errorMessage());
            }
            Thread.sleep(20);
        }
    }

    private Map<String, String> paginated(String namespace) {
        Map<String, String> ids = new TreeMap<>();
        int pages = 0;
        for (var page : api.listServicesPaginator(to -> to.maxResults(2)
                .filters(by -> by.name(ServiceFilterName.NAMESPACE_ID).values(namespace)))) {
            pages++;
            page.services().forEach(found -> ids.put(found.name(), found.id()));
        }
        expect(ids.size(), SERVICES);
        expect(pages, 3);
        return ids;
    }

    private List<String> discovered() {
        var found = api.discoverInstances(to -> to.namespaceName(NAMESPACE).serviceName("service-0")
                .queryParameters(Map.of("stage", "dev")).healthStatus(HealthStatusFilter.ALL));
        expect(found.instancesRevision() > 0, true);
        return found.instances().stream().map(instance -> instance.instanceId()).toList();
    }

    private void refused(String service, String namespace) {
        raised(ServiceNotFoundException.class, () -> api.getService(to -> to.id("srv-aaaaaaaaaaaaaaaa")));
        var invalid = raised(InvalidInputException.class, () -> api.registerInstance(to -> to.serviceId(service)
                .instanceId("bad").attributes(Map.of("AWS_INSTANCE_IPV4", "300.0.0.1"))));
        expect(invalid.awsErrorDetails().errorMessage().isEmpty(), false);
        var there = raised(NamespaceAlreadyExistsException.class,
                () -> api.createHttpNamespace(to -> to.name(NAMESPACE)));
        expect(there.namespaceId(), namespace);
        raised(NamespaceNotFoundException.class,
                () -> api.discoverInstances(to -> to.namespaceName("nowhere").serviceName("service-0")));
    }

    private static <E extends Exception> E raised(Class<E> type, Runnable act) {
        try {
            act.run();
        } catch (Exception error) {
            if (type.isInstance(error)) {
                return type.cast(error);
            }
            throw new AssertionError("not a " + type.getSimpleName(), error);
        }
        throw new AssertionError("no " + type.getSimpleName());
    }

    private static void expect(Object found, Object expected) {
        if (!found.equals(expected)) {
            throw new AssertionError(found + ", not " + expected);
        }
    }
}
