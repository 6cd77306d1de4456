"""`connector-host service` describes the very configuration that it is given."""


def test_the_unit_serves_this_configuration_and_may_write_its_database(configured):
    done = configured.run("service", "install", "--print")
    assert done.returncode == 0, done.stderr
    assert f"serve --config {configured.path}/connector-host.toml" in done.stdout
    assert f"ReadWritePaths={configured.path}" in done.stdout


def test_a_folder_that_is_not_its_own_is_not_handed_over(configured, monkeypatch):
    monkeypatch.setattr("pathlib.Path.home", lambda: configured.path)
    done = configured.run("service", "install")
    assert (done.returncode, "would be handed" in done.stderr) == (1, True)


def test_a_configuration_that_is_wrong_is_not_installed(configured):
    configured.write("connector-host.toml", configured.read("connector-host.toml").replace("table =", "tabel ="))
    done = configured.run("service", "install", "--print")
    assert (done.returncode, "Did you mean table?" in done.stderr) == (1, True)
