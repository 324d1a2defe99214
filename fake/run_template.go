package fake

// defaultTemplate fills in what all templates have in common.
func defaultTemplate(p *project, template object) {
	setDefault(template, "serviceAccount", p.computeDefault())
	eachContainer(template, func(c object) {
		limits := child(c, "resources", "limits")
		setDefault(limits, "cpu", "1000m")
		setDefault(limits, "memory", "512Mi")
	})
}

func eachContainer(template object, do func(object)) {
	containers, _ := template["containers"].([]any)
	for _, c := range containers {
		if c, ok := c.(object); ok {
			do(c)
		}
	}
}

// checkContainers refuses a template without a container, or with one that
// has no image.
func checkContainers(at string, template object) error {
	containers, _ := template["containers"].([]any)
	if len(containers) == 0 {
		return invalid("%s.containers: must contain at least one container.", at)
	}
	for _, c := range containers {
		if o, _ := c.(object); text(o, "image") == "" {
			return invalid("%s.containers.image: Expected an image path like [host/]repo-path[:tag and/or @digest], obtained an empty one.", at)
		}
	}
	return nil
}
