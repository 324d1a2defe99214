package fake

import "github.com/runidentity/runidentity/fake/internal/wire"

// defaultTemplate fills in what all templates have in common.
func defaultTemplate(p *project, template wire.Object) {
	wire.SetDefault(template, "serviceAccount", p.computeDefault())
	eachContainer(template, func(c wire.Object) {
		limits := wire.Child(c, "resources", "limits")
		wire.SetDefault(limits, "cpu", "1000m")
		wire.SetDefault(limits, "memory", "512Mi")
	})
}

func eachContainer(template wire.Object, do func(wire.Object)) {
	wire.EachObject(template["containers"], do)
}

// checkContainers refuses a template without a container, or with one that
// has no image.
func checkContainers(at string, template wire.Object) error {
	containers, _ := template["containers"].([]any)
	if len(containers) == 0 {
		return wire.Invalid("%s.containers: must contain at least one container.", at)
	}
	for _, c := range containers {
		if o, _ := c.(wire.Object); wire.Text(o, "image") == "" {
			return wire.Invalid("%s.containers.image: Expected an image path like [host/]repo-path[:tag and/or @digest], obtained an empty one.", at)
		}
	}
	return nil
}
