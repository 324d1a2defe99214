package wire_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/fake/internal/wire"
	"github.com/runidentity/runidentity/internal/discovery"
)

func TestMasks(t *testing.T) {
	t.Parallel()
	const to = `{"labels":{"a":"1"},"template":{"serviceAccount":"old","timeout":"1s"},"description":"d"}`
	const from = `{"labels":{"b":"2"},"template":{"serviceAccount":"new"}}`
	for mask, want := range map[string]string{
		"template.serviceAccount":    `{"labels":{"a":"1"},"template":{"serviceAccount":"new","timeout":"1s"},"description":"d"}`,
		"template.service_account":   `{"labels":{"a":"1"},"template":{"serviceAccount":"new","timeout":"1s"},"description":"d"}`,
		"template.timeout":           `{"labels":{"a":"1"},"template":{"serviceAccount":"old"},"description":"d"}`,
		"labels.b, description":      `{"labels":{"a":"1","b":"2"},"template":{"serviceAccount":"old","timeout":"1s"}}`,
		"labels":                     `{"labels":{"b":"2"},"template":{"serviceAccount":"old","timeout":"1s"},"description":"d"}`,
		"binaryAuthorization.policy": to, // neither has one: nothing is made on the way
	} {
		t.Run(mask, func(t *testing.T) {
			t.Parallel()
			o, in := wire.MustDecode([]byte(to)), wire.MustDecode([]byte(from))
			paths := wire.ParseMask(mask)
			require.NoError(t, wire.Checker{Schemas: discovery.All()["run:v2"].Schemas}.CheckMask("GoogleCloudRunV2Service", paths))
			wire.ApplyMask(o, in, paths)
			assert.JSONEq(t, want, string(wire.MustEncode(o)))
			assert.JSONEq(t, from, string(wire.MustEncode(in)))
		})
	}
	assert.Nil(t, wire.ParseMask(""))
	assert.Nil(t, wire.ParseMask("*"))
	check := wire.Checker{Schemas: discovery.All()["run:v2"].Schemas}
	require.NoError(t, check.CheckMask("GoogleCloudRunV2Service", wire.ParseMask("labels..")), "below a map, any name is one")
	for _, mask := range []string{"nothing", "template.nothing", "template.containers.image", "uid.x"} {
		assert.Error(t, check.CheckMask("GoogleCloudRunV2Service", wire.ParseMask(mask)), mask)
	}
}
