// Command consumers reads JSON of rendered Secrets on standard input and lets Alertmanager's own code
// take in what the preset alertmanager holds.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"github.com/prometheus/alertmanager/config"
)

type secret struct {
	Host, Username, Password string
	Port                     int
	Presets                  map[string]map[string]string
}

func main() {
	var secrets []secret
	if err := json.NewDecoder(os.Stdin).Decode(&secrets); err != nil {
		fail(err)
	}
	if len(secrets) != 4 {
		fail(fmt.Errorf("%d Secrets, 4 are expected", len(secrets)))
	}
	for _, one := range secrets {
		if err := check(one); err != nil {
			fail(err)
		}
	}
	fmt.Printf("alertmanager: %d Secrets\n", len(secrets))
}

// check loads a configuration in which every value stands as the Secret holds it.
func check(one secret) error {
	data := one.Presets["alertmanager"]
	text := fmt.Sprintf(`
receivers:
- name: mail
  email_configs:
  - {to: team@example.com, from: alerts@example.com, smarthost: %q, auth_username: %q, auth_password: %q}
route: {receiver: mail}
`, data["smarthost"], data["username"], data["password"])
	loaded, err := config.Load(text)
	if err != nil {
		return err
	}
	mail := loaded.Receivers[0].EmailConfigs[0]
	got := [4]string{mail.Smarthost.Host, mail.Smarthost.Port, mail.AuthUsername, string(mail.AuthPassword)}
	wanted := [4]string{one.Host, strconv.Itoa(one.Port), one.Username, one.Password}
	if got != wanted {
		return fmt.Errorf("alertmanager: another host, port, user name or password than wanted at %s:%d", one.Host, one.Port)
	}
	return nil
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
