package render_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/runidentity/runidentity/internal/render"
)

func TestCommand(t *testing.T) {
	t.Parallel()
	assert.Equal(t, `gcloud projects p --member=user:a@b.c '' 'it'\''s' 'a b' '$x' '--condition=^#^a<b'`,
		render.Command("gcloud", "projects", "p", "--member=user:a@b.c", "", "it's", "a b", "$x", "--condition=^#^a<b"))
}

// A shell reads the words as they were.
func TestCommandInAShell(t *testing.T) {
	t.Parallel()
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("needs sh on PATH")
	}
	words := []string{"a b", "$HOME", "`id`", "it's", "*", `\`, "-x", "#", "~", "a\nb", "!", "ü"}
	out, err := exec.CommandContext(t.Context(), shell, "-c", `printf '%s\0' `+render.Command(words...)).Output()
	require.NoError(t, err)
	assert.Equal(t, strings.Join(words, "\x00")+"\x00", string(out))
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "a b c\\|d \\`e\\` \\<b\\>", render.Cell("a\nb\u2028c|d `e` <b>"))
	assert.Equal(t, "a'b", render.Code("a`b"))
	assert.Equal(t, "```sh\nx\n```\n", render.Block("sh", "x\n"))
	assert.Equal(t, "````sh\n```\n````\n", render.Block("sh", "```"))
}
