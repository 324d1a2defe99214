package fake

func (k *workloadKind) getPolicy(c *call) ([]byte, error) {
	defer c.rlock()()
	r, err := k.existing(c, "getIamPolicy")
	if err != nil {
		return nil, err
	}
	return c.getIamPolicy(&r.node)
}

func (k *workloadKind) setPolicy(c *call) ([]byte, error) {
	defer c.lock()()
	r, err := k.existing(c, "setIamPolicy")
	if err != nil {
		return nil, err
	}
	return c.setIamPolicy(&r.node)
}

// testPermissions needs no permission.
func (k *workloadKind) testPermissions(c *call) ([]byte, error) {
	defer c.rlock()()
	key, id, err := k.locate(c, "get")
	if err != nil {
		return nil, err
	}
	r := c.b.run.find(key, id)
	if r == nil {
		return nil, k.missing(key, id)
	}
	return c.testIamPermissions(&r.node, func(permission string) bool {
		return c.b.permissionExists(permission) && testableOn(&r.node, permission)
	})
}
