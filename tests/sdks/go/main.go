// Command sdk uses a Cloud Map API through the AWS SDK for Go v2 as an application would, and fails where it must not.
//
//	go run . http://registry.localhost:8081
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery/types"
)

const services = 5

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := walk(ctx, client(os.Args[1])); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func client(endpoint string) *servicediscovery.Client {
	return servicediscovery.New(servicediscovery.Options{
		Region:       "eu-west-1",
		BaseEndpoint: aws.String(endpoint),
		Credentials: credentials.NewStaticCredentialsProvider(
			os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), ""),
	})
}

func walk(ctx context.Context, api *servicediscovery.Client) error {
	made, err := api.CreateHttpNamespace(ctx, &servicediscovery.CreateHttpNamespaceInput{Name: aws.String("sdk-go")})
	if err != nil {
		return fmt.Errorf("create namespace: %w", err)
	}
	operation, err := succeeded(ctx, api, made.OperationId)
	if err != nil {
		return err
	}
	namespace := operation.Targets["NAMESPACE"]
	for number := range services {
		name := fmt.Sprintf("service-%d", number)
		input := &servicediscovery.CreateServiceInput{Name: &name, NamespaceId: &namespace}
		if _, err := api.CreateService(ctx, input); err != nil {
			return fmt.Errorf("create %s: %w", name, err)
		}
	}
	id, err := paginated(ctx, api, namespace)
	if err != nil {
		return err
	}
	if err := registered(ctx, api, id); err != nil {
		return err
	}
	return refused(ctx, api, id)
}

func succeeded(ctx context.Context, api *servicediscovery.Client, id *string) (*types.Operation, error) {
	for {
		found, err := api.GetOperation(ctx, &servicediscovery.GetOperationInput{OperationId: id})
		if err != nil {
			return nil, fmt.Errorf("get operation: %w", err)
		}
		switch found.Operation.Status {
		case types.OperationStatusSuccess:
			return found.Operation, nil
		case types.OperationStatusFail:
			return nil, fmt.Errorf("operation %s failed: %s", *id, *found.Operation.ErrorMessage)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// paginated lists the services of a namespace, two a page, and returns the id of the first.
func paginated(ctx context.Context, api *servicediscovery.Client, namespace string) (string, error) {
	filter := types.ServiceFilter{Name: types.ServiceFilterNameNamespaceId, Values: []string{namespace}}
	pages := servicediscovery.NewListServicesPaginator(api, &servicediscovery.ListServicesInput{
		Filters: []types.ServiceFilter{filter}, MaxResults: aws.Int32(2),
	})
	ids := map[string]string{}
	count := 0
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", fmt.Errorf("list services: %w", err)
		}
		count++
		for _, found := range page.Services {
			ids[*found.Name] = *found.Id
		}
	}
	if len(ids) != services || count != 3 {
		return "", fmt.Errorf("%d services in %d pages, not %d in 3", len(ids), count, services)
	}
	return ids["service-0"], nil
}

func registered(ctx context.Context, api *servicediscovery.Client, id string) error {
	for number, stage := range []string{"dev", "prod"} {
		accepted, err := api.RegisterInstance(ctx, &servicediscovery.RegisterInstanceInput{
			ServiceId: &id, InstanceId: aws.String("web-" + stage),
			Attributes: map[string]string{
				"AWS_INSTANCE_IPV4": fmt.Sprintf("10.0.0.%d", number+1), "AWS_INSTANCE_PORT": "8080", "stage": stage,
			},
		})
		if err != nil {
			return fmt.Errorf("register: %w", err)
		}
		if _, err := succeeded(ctx, api, accepted.OperationId); err != nil {
			return err
		}
	}
	if err := discovered(ctx, api, "web-dev"); err != nil {
		return err
	}
	accepted, err := api.DeregisterInstance(ctx,
		&servicediscovery.DeregisterInstanceInput{ServiceId: &id, InstanceId: aws.String("web-dev")})
	if err != nil {
		return fmt.Errorf("deregister: %w", err)
	}
	if _, err := succeeded(ctx, api, accepted.OperationId); err != nil {
		return err
	}
	return discovered(ctx, api)
}

// discovered asks for the instances with stage=dev.
func discovered(ctx context.Context, api *servicediscovery.Client, expected ...string) error {
	found, err := api.DiscoverInstances(ctx, &servicediscovery.DiscoverInstancesInput{
		NamespaceName: aws.String("sdk-go"), ServiceName: aws.String("service-0"),
		QueryParameters: map[string]string{"stage": "dev"}, HealthStatus: types.HealthStatusFilterAll,
	})
	if err != nil {
		return fmt.Errorf("discover: %w", err)
	}
	var ids []string
	for _, instance := range found.Instances {
		ids = append(ids, *instance.InstanceId)
	}
	if fmt.Sprint(ids) != fmt.Sprint(expected) {
		return fmt.Errorf("discovered %v, not %v", ids, expected)
	}
	if found.InstancesRevision == nil || *found.InstancesRevision <= 0 {
		return errors.New("a discovery without a revision")
	}
	return nil
}

// refused makes mistakes, each of which is an error of its own type.
func refused(ctx context.Context, api *servicediscovery.Client, id string) error {
	_, err := api.GetService(ctx, &servicediscovery.GetServiceInput{Id: aws.String("srv-aaaaaaaaaaaaaaaa")})
	if notFound := new(types.ServiceNotFound); !errors.As(err, &notFound) {
		return fmt.Errorf("an unknown service gives %T: %w", err, err)
	}
	_, err = api.RegisterInstance(ctx, &servicediscovery.RegisterInstanceInput{
		ServiceId: &id, InstanceId: aws.String("bad"), Attributes: map[string]string{"AWS_INSTANCE_IPV4": "300.0.0.1"},
	})
	if invalid := new(types.InvalidInput); !errors.As(err, &invalid) || invalid.ErrorMessage() == "" {
		return fmt.Errorf("an address that is none gives %T: %w", err, err)
	}
	_, err = api.CreateHttpNamespace(ctx, &servicediscovery.CreateHttpNamespaceInput{Name: aws.String("sdk-go")})
	there := new(types.NamespaceAlreadyExists)
	if !errors.As(err, &there) || there.NamespaceId == nil || *there.NamespaceId == "" {
		return fmt.Errorf("a namespace that exists gives %T: %w", err, err)
	}
	_, err = api.DiscoverInstances(ctx, &servicediscovery.DiscoverInstancesInput{
		NamespaceName: aws.String("nowhere"), ServiceName: aws.String("service-0"),
	})
	if notFound := new(types.NamespaceNotFound); !errors.As(err, &notFound) {
		return fmt.Errorf("an unknown namespace gives %T: %w", err, err)
	}
	return nil
}
